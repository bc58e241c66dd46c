// Which form of an operation runs: the fused one, or libtorch's own operations one after the other, which are
// its slow reference (the twin) and serve what the fused form does not cover. Chosen part by part.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "config/train_config.h"

namespace megin::net {

class Operations {
 public:
  static const Operations kFused, kPlain;

  constexpr Operations() = default;
  explicit constexpr Operations(std::span<const config::FusedPart> plain) {
    for (const config::FusedPart part : plain) plain_ |= bits(part);
  }

  // Whether the part (not kAll) runs in its fused form.
  constexpr bool fused(config::FusedPart part) const { return (plain_ & bits(part)) == 0; }
  constexpr bool all_fused() const { return plain_ == 0; }

 private:
  static constexpr uint32_t bits(config::FusedPart part) {
    return part == config::FusedPart::kAll ? ~uint32_t{0} : uint32_t{1} << static_cast<uint32_t>(part);
  }

  uint32_t plain_ = 0;
};

inline constexpr Operations Operations::kFused{};
inline constexpr Operations Operations::kPlain{std::array{config::FusedPart::kAll}};

}  // namespace megin::net
