#pragma once

namespace nibble::tokenizer {

/// Properties of code points as the `tokenizers` library asks for them. Some of its parts have tables of an old Unicode, for which newer
/// characters are unassigned; the others have those of ICU 72, Unicode 15.
/// Whether a character was there in this version of Unicode.
bool is_of_unicode(char32_t c, int major);
/// White_Space.
bool is_whitespace(char32_t c);
/// General category N*.
bool is_numeric(char32_t c);
/// General category P* of Unicode 8 or any other ASCII sign.
bool is_punctuation(char32_t c);
/// General category M* of Unicode 9.
bool is_mark(char32_t c);
/// General category Mn of Unicode 8.
bool is_nonspacing_mark(char32_t c);
/// General category C* of Unicode 8 without the unassigned: control, format, surrogate, private use.
bool is_other(char32_t c);
/// What `\w` matches in the regex crate: Alphabetic, M*, Nd, Pc and Join_Control (Unicode technical standard 18, annex C).
bool is_word(char32_t c);
/// The blocks BERT calls Chinese characters.
bool is_cjk_ideograph(char32_t c);
/// Simple lower case; U+0130, the one code point with a longer unconditional mapping, is the caller's.
char32_t to_lower(char32_t c);

}  // namespace nibble::tokenizer
