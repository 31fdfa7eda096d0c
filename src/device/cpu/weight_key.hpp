#pragma once

#include <span>

#include "base/hash.hpp"
#include "base/thread_pool.hpp"
#include "device/cpu/weight_matrix.hpp"

namespace nibble::cpu {

/// What the packed weights of requests depend on, in 128 bits: the options, shapes and types, the content of every constant and the version
/// of the format. Reads all constants, on all threads, and gives the pages of their files back; none may be lazy.
Hash128 weight_key(std::span<const PackRequest> requests, ThreadPool& threads);

}  // namespace nibble::cpu
