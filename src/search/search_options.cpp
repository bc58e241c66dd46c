#include "search/search_options.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace megin::search {
namespace {

void check_id(int32_t id, const char* name, int64_t vocabulary) {
  if (id < 0 || id >= vocabulary) {
    fail_usage("search: wanted the id of the {} symbol within the vocabulary of {}, found {}", name,
               vocabulary, id);
  }
}

}  // namespace

double length_penalised(double log_probability, int64_t length, const SearchOptions& options) {
  if (length == 0) return log_probability;
  const auto tokens = static_cast<double>(length);
  switch (options.length_penalty) {
    case LengthPenalty::kFairseq:
      return log_probability / std::pow(tokens, options.alpha);
    case LengthPenalty::kGnmt:
      return log_probability / std::pow((5.0 + tokens) / 6.0, options.alpha);
    case LengthPenalty::kNone:
      return log_probability;
  }
  fail("search: a length penalty outside its enumeration");
}

int64_t length_limit(const NextTokenModel& model, int64_t source_length, const SearchOptions& options) {
  const double wanted = options.max_length_ratio * static_cast<double>(source_length) +
                        static_cast<double>(options.max_length_extra);
  const auto most = static_cast<double>(model.max_length() - 1);
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(wanted, most)));
}

void check(const SearchOptions& options, const NextTokenModel& model) {
  if (options.beam < 1) fail_usage("search: wanted a beam of at least 1, found {}", options.beam);
  if (options.nbest < 1 || options.nbest > options.beam) {
    fail_usage("search: wanted nbest between 1 and the beam of {}, found {}", options.beam, options.nbest);
  }
  if (!std::isfinite(options.alpha) || options.alpha < 0) {
    fail_usage("search: wanted a length penalty exponent of at least 0, found {}", options.alpha);
  }
  if (!std::isfinite(options.max_length_ratio) || options.max_length_ratio < 0) {
    fail_usage("search: wanted a length ratio of at least 0, found {}", options.max_length_ratio);
  }
  if (options.max_length_extra < 0) {
    fail_usage("search: wanted a length allowance of at least 0, found {}", options.max_length_extra);
  }
  if (model.max_length() < 2) {
    fail_usage("search: wanted a model of at least 2 target tokens, found {}", model.max_length());
  }
  check_id(options.begin, "begin", model.vocabulary());
  check_id(options.pad, "pad", model.vocabulary());
  check_id(options.end, "end", model.vocabulary());
  check_id(options.unknown, "unknown", model.vocabulary());
  check_id(options.first_choice, "first choice", model.vocabulary());
}

}  // namespace megin::search
