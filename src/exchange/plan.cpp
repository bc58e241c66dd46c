#include "exchange/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "exchange/bert.h"
#include "exchange/folded_rows.h"
#include "exchange/foreign_json.h"
#include "exchange/gpt2.h"
#include "exchange/marian.h"
#include "exchange/roberta.h"
#include "exchange/t5.h"
#include "store/tensor_names.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

using Shape = std::vector<int64_t>;

constexpr const char* kBegin = "decoder.begin";
constexpr const char* kOutputBias = "output.bias";
constexpr const char* kEmbedding = "embedding.weight";

int64_t columns_of(const Shape& shape) {
  return shape.size() > 1 ? shape[1] : 1;
}

// The shape of each part of theirs.
Shape part_shape(const Plan& plan, const Link& link, const Shape& ours) {
  const auto parts = static_cast<int64_t>(link.theirs.size());
  switch (link.form) {
    case Form::kPlain: {
      Shape shape = ours;
      shape[0] = shape[0] / parts + link.skipped;
      return shape;
    }
    case Form::kTransposed:
      if (ours.size() == 1) return {ours[0] / parts};
      return {ours[1], ours[0] / parts};
    case Form::kSymbols:
      if (ours.size() == 1) return {1, plan.their_symbols};
      return {plan.their_symbols, ours[1]};
    case Form::kNumbers:
      return {plan.their_symbols};
  }
  __builtin_unreachable();
}

bool is_by_symbol(Form form) {
  return form == Form::kSymbols || form == Form::kNumbers;
}

// Whether an export needs their tensor to make it out of ours.
bool is_kept(const Link& link) {
  return link.skipped > 0 || !link.added.empty();
}

std::vector<float> transposed(const std::vector<float>& values, int64_t rows, int64_t columns) {
  std::vector<float> result(values.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      result[static_cast<size_t>(c * rows + r)] = values[static_cast<size_t>(r * columns + c)];
    }
  }
  return result;
}

// Rows by the symbols of megin.
std::vector<float> by_our_symbols(const Plan& plan, const std::vector<float>& theirs, int64_t columns,
                                  bool bias) {
  std::vector<float> ours;
  for (const Symbol& symbol : plan.symbols) {
    if (bias && !symbol.produced) {
      ours.push_back(kNever);
    } else if (symbol.row < 0) {
      ours.insert(ours.end(), static_cast<size_t>(columns), 0.0F);
    } else {
      const auto from = theirs.begin() + symbol.row * columns;
      ours.insert(ours.end(), from, from + columns);
    }
  }
  return ours;
}

std::vector<float> by_their_symbols(const Plan& plan, const std::vector<float>& ours, int64_t columns) {
  std::vector<float> theirs(static_cast<size_t>(plan.their_symbols * columns));
  for (size_t id = 0; id < plan.symbols.size(); ++id) {
    const Symbol& symbol = plan.symbols[id];
    if (!symbol.produced) continue;
    const auto from = ours.begin() + static_cast<std::ptrdiff_t>(id) * columns;
    std::copy_n(from, columns, theirs.begin() + symbol.row * columns);
  }
  return theirs;
}

// The name of a tensor in a file, which may be that of older files; empty: it is not there.
std::string present_name(const Plan& plan, const SourceTensors& source, const std::string& wanted) {
  std::vector<std::string> names = {wanted};
  if (!plan.optional_prefix.empty() && wanted.starts_with(plan.optional_prefix))
    names.push_back(wanted.substr(plan.optional_prefix.size()));
  for (const auto& [end, older] : plan.older_ends) {
    if (wanted.ends_with(end)) names.push_back(wanted.substr(0, wanted.size() - end.size()) + older);
  }
  const auto found =
      std::ranges::find_if(names, [&](const auto& name) { return source.all().contains(name); });
  return found == names.end() ? "" : *found;
}

// Finds their tensors and remembers what it finds amiss.
class Finder {
 public:
  Finder(const Plan& plan, const SourceTensors& source) : plan_(plan), source_(source) {
    for (const auto& [name, tensor] : source.all()) left_.insert(name);
  }

  // Null, and remembered unless `optional`, where there is none of that shape.
  const SourceTensor* find(const std::string& wanted, const Shape& shape, bool optional) {
    const std::string name = present_name(plan_, source_, wanted);
    if (name.empty()) {
      if (!optional) missing_.push_back(wanted);
      return nullptr;
    }
    left_.erase(name);
    const SourceTensor& tensor = source_.all().at(name);
    if (tensor.shape == shape) return &tensor;
    wrong_.push_back(
        fmt::format("{} ({} and not {})", name, store::shape_text(tensor.shape), store::shape_text(shape)));
    return nullptr;
  }

  void check_all() {
    std::erase_if(left_, [&](const std::string& name) {
      return std::ranges::any_of(plan_.passed_over, [&](const auto& end) { return name.ends_with(end); });
    });
    if (missing_.empty() && wrong_.empty() && left_.empty()) return;
    std::string what;
    const auto add = [&](std::string_view which, const auto& names) {
      if (!names.empty()) what += fmt::format("; {}: {}", which, fmt::join(names, ", "));
    };
    add("missing", missing_);
    add("of another shape", wrong_);
    add("unknown", left_);
    fail("{}: wanted the tensors of a {} model by its config.json{}", source_.file().string(), plan_.kind,
         what);
  }

 private:
  const Plan& plan_;
  const SourceTensors& source_;
  std::set<std::string> left_;
  std::vector<std::string> missing_, wrong_;
};

const Link* link_of(const Plan& plan, const std::string& ours) {
  const auto found = std::ranges::find(plan.links, ours, &Link::ours);
  return found == plan.links.end() ? nullptr : &*found;
}

std::vector<float> read_link(const Plan& plan, const Link& link, const Shape& shape,
                             const std::vector<const SourceTensor*>& parts) {
  std::vector<float> values;
  for (const SourceTensor* const part : parts) {
    std::vector<float> read = part->read();
    if (link.form == Form::kTransposed && shape.size() > 1)
      read = transposed(read, part->shape[0], part->shape[1]);
    if (is_by_symbol(link.form)) read = by_our_symbols(plan, read, columns_of(shape), shape.size() == 1);
    if (parts.size() == 1) return read;
    values.insert(values.end(), read.begin(), read.end());
  }
  return values;
}

const std::vector<float>& values_of(const std::vector<store::FloatTensor>& tensors, const std::string& name) {
  return std::ranges::find(tensors, name, &store::FloatTensor::name)->values;
}

// All that kept_tensors() gives.
std::vector<Kept> all_kept(const Plan& plan) {
  std::vector<Kept> all = plan.kept;
  for (const store::TensorShape& ours : store::tensor_shapes(plan.model)) {
    const Link* const link = link_of(plan, ours.name);
    if (link == nullptr || !is_kept(*link)) continue;
    all.push_back({.name = link->theirs[0], .shape = part_shape(plan, *link, ours.shape)});
  }
  return all;
}

// What stands in no tensor of theirs: the logits of symbols that they do not have, and what their decoder
// begins with, which is the padding symbol's vector.
std::vector<float> made_tensor(const Plan& plan, const std::string& name,
                               const std::vector<store::FloatTensor>& before) {
  if (name == kOutputBias) {
    return by_our_symbols(plan, std::vector<float>(static_cast<size_t>(plan.their_symbols)), 1, true);
  }
  if (name != kBegin) fail("no tensor of a {} model is {}", plan.kind, name);
  const auto& table = values_of(before, kEmbedding);
  const auto row = table.begin() + text::kPadId * plan.model.width;
  return {row, row + plan.model.width};
}

}  // namespace

Plan read_plan(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "config.json";
  const nlohmann::json config = read_json(file);
  const auto kind = member<std::string>(config, "model_type", file);
  Plan plan;
  if (kind == "gpt2") {
    plan = gpt2_plan(folder, config);
  } else if (kind == "marian") {
    plan = marian_plan(folder, config);
  } else if (kind == "t5") {
    plan = t5_plan(folder, config);
  } else if (kind == "bert") {
    plan = bert_plan(folder, config);
  } else if (kind == "roberta") {
    plan = roberta_plan(folder, config);
  } else {
    fail("{}: wanted a model of type gpt2, marian, t5, bert or roberta, found '{}'", file.string(), kind);
  }
  plan.kind = kind;
  return plan;
}

std::vector<store::FloatTensor> import_tensors(const Plan& plan, const SourceTensors& source) {
  Finder finder(plan, source);
  const auto shapes = store::tensor_shapes(plan.model);
  std::map<std::string, std::vector<const SourceTensor*>> found;
  std::vector<std::pair<const Link*, const SourceTensor*>> copies;
  for (const store::TensorShape& wanted : shapes) {
    const Link* const link = link_of(plan, wanted.name);
    if (link == nullptr) continue;
    const Shape shape = part_shape(plan, *link, wanted.shape);
    for (const std::string& name : link->theirs) {
      if (const auto* part = finder.find(name, shape, !link->standard.empty()))
        found[wanted.name].push_back(part);
    }
    for (const std::string& name : link->copies) {
      if (const auto* copy = finder.find(name, shape, true)) copies.emplace_back(link, copy);
    }
  }
  for (const Kept& kept : plan.kept) finder.find(kept.name, kept.shape, kept.optional);
  const Link& table = *link_of(plan, kEmbedding);
  const Shape table_shape = {plan.their_symbols, plan.model.width};
  std::vector<const SourceTensor*> tied;
  for (const std::string& name : plan.tied) {
    if (const auto* const tensor = finder.find(name, table_shape, true)) tied.push_back(tensor);
  }
  finder.check_all();
  for (const SourceTensor* const tensor : tied) {
    if (tensor->read() != found.at(table.ours)[0]->read()) {
      fail("{}: wanted one table of vectors for input and output, found two that differ",
           source.file().string());
    }
  }
  for (const auto& [link, copy] : copies) {
    if (copy->read() != found.at(link->ours)[0]->read()) {
      fail("{}: wanted {} once, found it twice with values that differ", source.file().string(),
           link->theirs[0]);
    }
  }
  std::vector<store::FloatTensor> tensors;
  for (const store::TensorShape& wanted : shapes) {
    const Link* const link = link_of(plan, wanted.name);
    const auto parts = found.find(wanted.name);
    store::FloatTensor tensor{.name = wanted.name, .shape = wanted.shape, .values = {}};
    tensor.values = link == nullptr        ? made_tensor(plan, wanted.name, tensors)
                    : parts == found.end() ? link->standard
                                           : read_link(plan, *link, wanted.shape, parts->second);
    if (link != nullptr && is_kept(*link)) {
      std::vector<float> added;
      if (!link->added.empty()) added = source.all().at(present_name(plan, source, link->added)).read();
      tensor.values = fold_in({.skipped = link->skipped, .columns = columns_of(wanted.shape), .added = added},
                              tensor.values);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::vector<store::FloatTensor> kept_tensors(const Plan& plan, const SourceTensors& source) {
  std::vector<store::FloatTensor> tensors;
  for (const Kept& kept : all_kept(plan)) {
    const std::string name = present_name(plan, source, kept.name);
    if (name.empty() && kept.optional) continue;
    if (name.empty()) {
      fail("{}: wanted {}, which an import keeps for the way back, found none", source.file().string(),
           kept.name);
    }
    const SourceTensor& tensor = source.all().at(name);
    if (tensor.shape != kept.shape) {
      fail("{}: {}: wanted the shape {}, found {}", source.file().string(), name,
           store::shape_text(kept.shape), store::shape_text(tensor.shape));
    }
    tensors.push_back({.name = kept.name, .shape = kept.shape, .values = tensor.read()});
  }
  return tensors;
}

std::vector<store::FloatTensor> export_tensors(const Plan& plan,
                                               const std::vector<store::FloatTensor>& tensors,
                                               const std::vector<store::FloatTensor>& kept) {
  std::vector<store::FloatTensor> theirs = kept;
  std::erase_if(theirs, [&](const store::FloatTensor& tensor) {
    return std::ranges::find(plan.kept, tensor.name, &Kept::name) == plan.kept.end();
  });
  for (const store::FloatTensor& tensor : tensors) {
    const Link* const link = link_of(plan, tensor.name);
    if (link == nullptr || tensor.values == link->standard) continue;
    if (is_kept(*link)) {
      std::vector<float> added;
      if (!link->added.empty()) added = values_of(kept, link->added);
      const Fold fold{.skipped = link->skipped, .columns = columns_of(tensor.shape), .added = added};
      theirs.push_back({.name = link->theirs[0],
                        .shape = part_shape(plan, *link, tensor.shape),
                        .values = fold_out(fold, tensor.values, values_of(kept, link->theirs[0]))});
      continue;
    }
    const Shape shape = part_shape(plan, *link, tensor.shape);
    const size_t parts = link->theirs.size(), size = tensor.values.size() / parts;
    for (size_t part = 0; part < parts; ++part) {
      const auto first = tensor.values.begin() + static_cast<std::ptrdiff_t>(part * size);
      std::vector<float> values(first, first + static_cast<std::ptrdiff_t>(size));
      if (link->form == Form::kTransposed && tensor.shape.size() > 1)
        values = transposed(values, shape[1], shape[0]);
      if (is_by_symbol(link->form)) values = by_their_symbols(plan, values, columns_of(tensor.shape));
      theirs.push_back({.name = link->theirs[part], .shape = shape, .values = std::move(values)});
    }
  }
  if (plan.model.begin_vector) {
    const std::string& table = link_of(plan, kEmbedding)->theirs[0];
    auto& values = std::ranges::find(theirs, table, &store::FloatTensor::name)->values;
    const int64_t row = plan.symbols[text::kPadId].row;
    std::ranges::copy(values_of(tensors, kBegin), values.begin() + row * plan.model.width);
  }
  if (plan.model.output_bias && link_of(plan, kOutputBias) == nullptr) {
    const auto& bias = values_of(tensors, kOutputBias);
    for (size_t id = 0; id < bias.size(); ++id) {
      if (plan.symbols[id].produced && bias[id] != 0) {
        fail(
            "a {} model has no bias on its logits, and this one has learned one; it cannot be written as "
            "such",
            plan.kind);
      }
    }
  }
  return theirs;
}

}  // namespace megin::exchange
