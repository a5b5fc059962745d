// Random bits by counting: those of an element are the same whoever computes them.
#pragma once

#include <cstdint>

namespace fusedoptim {

// Of a tensor at a step.
struct Key {
  std::uint32_t a, b;
};

// SplitMix64: Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195.
inline std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

inline Key key_of(std::uint64_t seed, std::uint64_t t, std::uint64_t tensor) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;
  const std::uint64_t z = mixed(mixed(mixed(seed + golden) + golden * t) + golden * (tensor + 1));
  return {std::uint32_t(z), std::uint32_t(z >> 32)};
}

// 32 bits for element i: two multiplications, with the constants of Wellons's lowbias32, keyed at both ends.
inline std::uint32_t random_bits(std::uint32_t i, Key key) {
  std::uint32_t x = i ^ key.a;
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= key.b;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  return x;
}

}  // namespace fusedoptim
