#include "metric/ter.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "metric/ngrams.h"
#include "metric/python_text.h"
#include "metric/shift_search.h"

namespace megin::metric {

void Ter::segment(std::string_view hypothesis, std::span<const std::string> references,
                  std::span<double> statistics) const {
  std::vector<std::string> lines{lower(hypothesis)};
  for (const std::string& reference : references) lines.push_back(lower(reference));

  WordNumbers numbers;
  const std::vector<uint32_t> words = numbers(split(lines.front()));
  size_t fewest = std::numeric_limits<size_t>::max();
  size_t lengths = 0;
  for (size_t r = 1; r < lines.size(); ++r) {
    const std::vector<uint32_t> reference = numbers(split(lines[r]));
    fewest = std::min(fewest, edits_with_shifts(words, reference));
    lengths += reference.size();
  }
  statistics[0] = static_cast<double>(fewest);
  statistics[1] = static_cast<double>(lengths) / static_cast<double>(references.size());
}

double Ter::value(std::span<const double> totals) const {
  const double edits = totals[0], reference_length = totals[1];
  if (reference_length > 0) return 100 * (edits / reference_length);
  return edits > 0 ? 100 : 0;
}

}  // namespace megin::metric
