#include <exception>
#include <regex>

#include "base/error.h"
#include "config/enums.h"
#include "text/subword.h"
#include "text/subword_backend.h"

namespace megin::text {
namespace {

// Hands normalised sentences to the trainer. An exception of the caller's source waits until the C functions
// have returned.
struct Feed {
  const SentenceSource& next;
  const std::function<void(std::string_view)>& stage;
  std::string sentence;
  uint64_t sentences = 0;
  std::exception_ptr thrown;

  bool pull() {
    try {
      while (next(sentence)) {
        sentence = normalise_for_subwords(sentence);
        if (sentence.empty()) continue;
        ++sentences;
        return true;
      }
      if (stage) stage(fmt::format("choosing the symbols from {} sentences", sentences));
    } catch (...) {
      thrown = std::current_exception();
    }
    return false;
  }
};

bool pull(void* context, const char** bytes, uint64_t* size) {
  Feed& feed = *static_cast<Feed*>(context);
  if (!feed.pull()) return false;
  *bytes = feed.sentence.data();
  *size = feed.sentence.size();
  return true;
}

// Tags stand before a sentence, and hide the space behind them; words have SentencePiece's mark of a space
// before them, as other words do, so that a word is one symbol and not two.
std::string symbol_list(const SubwordTraining& training) {
  std::string list;
  const auto add = [&list](const std::string& symbol) { list += (list.empty() ? "" : ",") + symbol; };
  for (const std::string& tag : training.tags) {
    if (!is_language_tag(tag)) fail_usage("data.corpora.tag: wanted a tag like \"<2de>\", found \"{}\"", tag);
    add(tag);
  }
  for (const std::string& word : training.config.symbols) add("▁" + normalise_for_subwords(word));
  return list;
}

using Options = std::vector<std::pair<std::string, std::string>>;

Options trainer_options(const SubwordTraining& training) {
  const config::SubwordConfig& config = training.config;
  Options options = {
      {"model_type", std::string(config::enum_name(config.kind))},
      {"vocab_size", std::to_string(config.vocabulary)},
      {"character_coverage", fmt::format("{}", config.coverage)},
      {"byte_fallback", config.byte_fallback ? "true" : "false"},
      {"bos_id", std::to_string(kBeginId)},
      {"pad_id", std::to_string(kPadId)},
      {"eos_id", std::to_string(kEndId)},
      {"unk_id", std::to_string(kUnknownId)},
      // The text is normalised before it comes here.
      {"normalization_rule_name", "identity"},
      // The default leaves out lines above 4,192 bytes without a word.
      {"max_sentence_length", "1048576"},
      // Sums of floats are split by this number: it must not follow the machine.
      {"num_threads", "8"},
      {"minloglevel", "3"},
  };
  // A control symbol: no text is ever encoded as it.
  if (config.mask_symbol) options.emplace_back("control_symbols", kMaskPiece);
  if (std::string symbols = symbol_list(training); !symbols.empty())
    options.emplace_back("user_defined_symbols", std::move(symbols));
  return options;
}

// SentencePiece names the bound only inside the text of its messages.
[[noreturn]] void fail_training(const config::SubwordConfig& config, uint64_t sentences,
                                const std::string& error) {
  std::smatch match;
  if (std::regex_search(error, match, std::regex("value <= ([0-9]+)"))) {
    fail(
        "subword.vocabulary: wanted {} symbols, but {} sentences give at most {}; set it to that or less, or "
        "train "
        "on more text",
        config.vocabulary, sentences, match[1].str());
  }
  if (std::regex_search(error, match, std::regex("required_chars.*?([0-9]+) vs ([0-9]+)"))) {
    fail(
        "subword.vocabulary: wanted {} symbols, but single characters alone need {}; set it higher, or "
        "subword.coverage lower",
        config.vocabulary, match[2].str());
  }
  fail("cannot train the subword model on {} sentences: {}", sentences, error);
}

}  // namespace

std::string train_subword(const SubwordTraining& training, const SentenceSource& next,
                          const std::function<void(std::string_view)>& stage) {
  const Options options = trainer_options(training);
  std::vector<TrainerOption> table;
  for (const auto& [name, value] : options) table.push_back({name.c_str(), value.c_str()});

  Feed feed{next, stage, {}, 0, nullptr};
  std::string model, error;
  const TextSink model_sink{&model, [](void* context, const char* bytes, uint64_t size) {
                              static_cast<std::string*>(context)->assign(bytes, size);
                            }};
  const TextSink error_sink{&error, model_sink.put};
  if (stage) stage("reading sentences");
  const bool ok =
      subword_backend().train({table.data(), table.size()}, {&feed, &pull}, model_sink, error_sink);
  if (feed.thrown) std::rethrow_exception(feed.thrown);
  if (feed.sentences == 0) fail("cannot train a subword model: there is no text to train it on");
  if (!ok) fail_training(training.config, feed.sentences, error);
  return model;
}

}  // namespace megin::text
