#include "data/class_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "base/error.h"
#include "text/unicode.h"

namespace megin::data {
namespace {

// More than this are sentences, or numbers, in the place of labels.
constexpr size_t kMostClasses = 10000, kShownClasses = 10;

std::string shown(const std::vector<std::string>& classes) {
  const auto some = std::span(classes).first(std::min(classes.size(), kShownClasses));
  return fmt::format("{}{}", fmt::join(some, ", "), some.size() < classes.size() ? " ..." : "");
}

}  // namespace

std::vector<std::string> find_classes(const PairSpool& train) {
  std::set<std::string> labels;
  SpoolReader reader(train);
  for (SpooledPair pair; reader.next(pair);) {
    labels.insert(text::normalise_whitespace(pair.target));
    if (labels.size() > kMostClasses) {
      fail(
          "the training sentences have more than {} different labels, as \"{}\"; is "
          "data.corpora.target_column the column of the labels?",
          kMostClasses, *labels.begin());
    }
  }
  std::vector<std::string> classes(labels.begin(), labels.end());
  if (classes.size() < 2) {
    fail("wanted training sentences of 2 classes or more, found the label \"{}\" alone", shown(classes));
  }
  return classes;
}

int32_t class_of(std::string_view label, const std::vector<std::string>& classes, std::string_view where) {
  const std::string wanted = text::normalise_whitespace(label);
  const auto found = std::ranges::find(classes, wanted);
  if (found == classes.end()) {
    fail("{}: wanted a label among {}, found \"{}\"; the classes are those of the training sentences", where,
         shown(classes), wanted);
  }
  return static_cast<int32_t>(found - classes.begin());
}

}  // namespace megin::data
