#pragma once

/// Before a function: compiled for several instruction sets, the best one chosen when the program starts. Only for leaf
/// functions that inline nothing shared. Sanitizers cannot run the resolver that chooses, so they get the plain version.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define NIBBLE_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define NIBBLE_VECTOR_CLONES
#endif
