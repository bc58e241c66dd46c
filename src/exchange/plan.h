// How a dense checkpoint of another program and a model of megin stand for each other: which tensor is which,
// and which symbol. A plan is read out of the files of that program (config.json and tokenizer) and goes both
// ways.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "exchange/source_tensors.h"
#include "store/averaging.h"

namespace megin::exchange {

enum class Form {
  kPlain,       // the same rows
  kTransposed,  // theirs is [in, out], as GPT-2's Conv1D has it
  kSymbols,     // a row, or a number, for each symbol, in their order of symbols; numbers are [1, symbols]
  kNumbers,     // a number for each symbol in their order: [symbols]
};

// A tensor of megin's is theirs, one below the other.
struct Link {
  std::string ours;
  std::vector<std::string> theirs;
  Form form = Form::kPlain;
  std::vector<float> standard = {};      // not empty: what ours is where theirs, one tensor, is missing
  std::vector<std::string> copies = {};  // names under which theirs, one tensor, may stand once more

  // Of one plain matrix: how many of its first rows ours is without, and the tensor whose first row is added
  // to each of the others ("": none). An export takes both back out of the kept tensors.
  int64_t skipped = 0;
  std::string added = "";
};

// A tensor of theirs that megin's model does not have. It is kept for the way back as it is.
struct Kept {
  std::string name;
  std::vector<int64_t> shape;
  bool optional = false;
};

// A symbol of megin's vocabulary.
struct Symbol {
  int64_t row = -1;      // of theirs; -1: it has none
  bool produced = true;  // false: it has no row of its own, and its logit is kNever
};

// Added to the logits of symbols that their model does not have: low enough for a probability of 0 beside any
// other logit, and small enough that smoothed losses stay numbers.
inline constexpr float kNever = -1e3F;

struct Plan {
  std::string kind;  // "gpt2", "t5", "bert": their model_type
  config::ModelConfig model;
  std::vector<Symbol> symbols;  // of each id of megin's
  int64_t their_symbols = 0;    // rows of their table
  std::vector<Link> links;
  std::vector<Kept> kept;
  std::string optional_prefix;  // of their names; older files lack it
  std::vector<std::pair<std::string, std::string>>
      older_ends;                        // of their names, and as older files have them
  std::vector<std::string> tied;         // names that may stand for their embedding once more
  std::vector<std::string> passed_over;  // ends of names of what is no parameter
  std::vector<std::string> classes;      // labels of a classifier, by their numbers
  std::string source_language, target_language;
  std::vector<std::string> tags;  // of target languages
  std::string source_subword;     // bytes of the subword files; equal: one for both sides
  std::string target_subword;
  std::vector<std::string> files;  // of theirs, beside the weights, that an export gives back
};

// Reads the plan of a folder by its config.json. Throws Error for a model that is none of those that megin
// has, naming the key, and for tokenizer files that are missing or do not fit.
Plan read_plan(const std::filesystem::path& folder);

// All tensors of the plan's model. Throws Error that lists all tensors that are missing, unknown or of
// another shape.
std::vector<store::FloatTensor> import_tensors(const Plan& plan, const SourceTensors& source);

// What an export needs beside the model: the kept tensors that are there, and the matrices of which rows are
// skipped or to which one is added. Names are those of the plan. Call it after import_tensors().
std::vector<store::FloatTensor> kept_tensors(const Plan& plan, const SourceTensors& source);

// The other way: their tensors from those of a model of the plan's configuration and kept_tensors(). What
// equals its standard is left out; rows that a row was added to are theirs bit for bit, unless training
// changed them. Throws Error where symbols that they do not have, or theirs have not, would be lost.
std::vector<store::FloatTensor> export_tensors(const Plan& plan,
                                               const std::vector<store::FloatTensor>& tensors,
                                               const std::vector<store::FloatTensor>& kept = {});

}  // namespace megin::exchange
