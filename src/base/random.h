// Counter-based random numbers: every draw is a hash of what it is for, never the state of a shared
// generator. Results therefore do not depend on thread count, batch composition or call order, and a resumed
// run makes the draws that the uninterrupted one would have made (docs/architecture.md, "Random draws").
//
// All functions are pure and safe to call from any thread.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace megin {

// What a draw is for; a part of its key, so that two uses of the same seed never share draws.
// Values are written into no file, but changing one changes every run of its seed.
enum class Purpose : uint64_t {
  kInitialisation = 1,
  kDropout = 2,
  kExpertDraw = 3,
  kDispatch = 4,
  kShuffle = 5,
  kSplit = 6,
  kSampling = 7,
  kBootstrap = 8,
  kMix = 9,
  kRouting = 10,
  kPerturbation = 11,
  kMasking = 12,
};

// A 64-bit finaliser with full avalanche (the SplitMix64 output function; Steele, Lea, Flood 2014).
constexpr uint64_t mix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// The key of a draw or of a stream of draws: seed, purpose, then as many indices as name it
// (update, micro-batch, pass, layer, sentence ...). The order of the indices matters.
constexpr uint64_t draw_key(uint64_t seed, Purpose purpose, std::initializer_list<uint64_t> indices = {}) {
  uint64_t key = mix64(mix64(seed) ^ static_cast<uint64_t>(purpose));
  for (const uint64_t index : indices) key = mix64(key ^ index);
  return key;
}

// Draw number `counter` of the stream `key`: 64 uniform bits.
constexpr uint64_t draw_bits(uint64_t key, uint64_t counter) {
  return mix64(key ^ mix64(counter));
}

// Uniform in {0, ..., n - 1}; n > 0. Bias below n / 2^64.
constexpr uint64_t draw_index(uint64_t key, uint64_t counter, uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(draw_bits(key, counter)) * n) >> 64);
}

// Uniform in [0, 1), 53 bits.
constexpr double draw_uniform(uint64_t key, uint64_t counter) {
  return static_cast<double>(draw_bits(key, counter) >> 11) * 0x1.0p-53;
}

// Standard normal (Box-Muller over two draws of the same counter).
double draw_normal(uint64_t key, uint64_t counter);

}  // namespace megin
