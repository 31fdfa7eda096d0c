#pragma once

#include "ir/write_journal.hpp"
#include "nibble/export.hpp"

namespace nibble {

/// What must be the same for one export to go on with the weights of another: Nibble's version, the options, and the files of the
/// checkpoint and of its adapters with their sizes and times of modification.
WriteIdentity export_identity(const std::filesystem::path& model, const ExportOptions& options);

}  // namespace nibble
