#include "text/masking.h"

#include <limits>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "text/byte_pair.h"
#include "text/wordpiece.h"

namespace megin::text {
namespace {

int32_t mask_symbol_of(const SubwordModel& model) {
  const auto mask = model.mask_id();
  if (!mask) {
    fail_usage(
        "wanted a vocabulary with the symbol <mask> for a masked_lm, found none; prepare the data with "
        "data.subword.mask_symbol=true");
  }
  return *mask;
}

}  // namespace

std::vector<bool> word_begins(const SubwordModel& model) {
  constexpr std::string_view kSentencePieceSpace = "\xE2\x96\x81", kBytePairSpace = "\xC4\xA0";
  const std::string_view space = is_byte_pair_file(model.bytes()) ? kBytePairSpace : kSentencePieceSpace;
  const bool marks_later = is_wordpiece_file(model.bytes());
  const auto begins_word = [&](const std::string& piece) {
    return marks_later ? !piece.starts_with("##") : piece.starts_with(space);
  };
  const std::optional<int32_t> mask = model.mask_id();
  std::vector<bool> begins;
  for (int32_t id = 0; id < model.size(); ++id) {
    begins.push_back(id < kSpecialIds || id == mask || begins_word(model.piece(id)));
  }
  return begins;
}

Masking::Masking(const config::MaskingConfig& config, const SubwordModel& model, uint64_t seed)
    : config_(config), seed_(seed), mask_(mask_symbol_of(model)), symbols_(model.size()) {
  if (symbols_ < kSpecialIds + 2)
    fail_usage("wanted a vocabulary with symbols to mask, found special ones alone");
  if (config.whole_words) begins_ = word_begins(model);
}

int64_t Masking::mask(uint64_t epoch, uint64_t row, std::span<int32_t> tokens,
                      std::span<int32_t> targets) const {
  enum Draw : uint64_t { kChoice, kSeen };
  const auto key_of = [&](Draw draw) { return draw_key(seed_, Purpose::kMasking, {epoch, row, draw}); };
  const uint64_t choice = key_of(kChoice), seen = key_of(kSeen);
  // The units that may be drawn, [first, end) of each, which words never share with a special symbol.
  struct Unit {
    size_t first, end;
  };
  std::vector<Unit> units;
  for (size_t i = 0; i < tokens.size(); ++i) {
    targets[i] = kPadId;
    if (!is_drawn_from(tokens[i])) continue;
    const bool goes_on = config_.whole_words && !begins_[static_cast<size_t>(tokens[i])] && !units.empty() &&
                         units.back().end == i;
    if (goes_on) {
      ++units.back().end;
    } else {
      units.push_back({i, i + 1});
    }
  }
  int64_t predicted = 0;
  const auto predict = [&](const Unit& unit) {
    for (size_t i = unit.first; i < unit.end; ++i) {
      targets[i] = tokens[i];
      tokens[i] = seen_as(seen, i, tokens[i]);
      ++predicted;
    }
  };
  const Unit* nearest = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Unit& unit : units) {
    const double drawn = draw_uniform(choice, unit.first);
    if (drawn < config_.rate) predict(unit);
    if (drawn < least) {
      least = drawn;
      nearest = &unit;
    }
  }
  if (predicted == 0 && nearest != nullptr) predict(*nearest);
  return predicted;
}

int32_t Masking::seen_as(uint64_t key, size_t place, int32_t token) const {
  const double drawn = draw_uniform(key, 2 * place);
  if (drawn < config_.masked) return mask_;
  if (drawn >= config_.masked + config_.random) return token;
  // The ordinary symbols in their order, the mask symbol left out wherever it stands among them.
  const bool among = mask_ >= kSpecialIds;
  const auto ordinary = static_cast<uint64_t>(symbols_ - kSpecialIds - (among ? 1 : 0));
  const auto symbol = kSpecialIds + static_cast<int32_t>(draw_index(key, 2 * place + 1, ordinary));
  return symbol + (among && symbol >= mask_ ? 1 : 0);
}

}  // namespace megin::text
