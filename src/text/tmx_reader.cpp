#include "text/tmx_reader.h"

#include <expat.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <deque>
#include <set>
#include <utility>

#include "base/error.h"
#include "text/byte_stream.h"

namespace megin::text {
namespace {

constexpr size_t kChunkBytes = size_t{64} << 10;
constexpr size_t kMaxSegmentBytes = 1 << 20;
// Expat keeps a tag that has not ended; a tag longer than this is no TMX.
constexpr int64_t kMaxTokenBytes = int64_t{4} << 20;
constexpr size_t kLanguagesShown = 20;

std::string_view attribute(const XML_Char** attributes, std::string_view name) {
  for (; *attributes != nullptr; attributes += 2)
    if (name == attributes[0]) return attributes[1];
  return {};
}

bool is_native_code(std::string_view element) {
  return element == "bpt" || element == "ept" || element == "ph" || element == "it" || element == "ut";
}

// One side of the translation unit at hand.
struct Side {
  std::string wanted;
  int match = 0;  // of the variant in `text`
  std::string text;
};

// What the callbacks of the parser build. Nothing may be thrown through expat's C code, so a problem stops
// the parser and waits in `problem`.
class TmxState {
 public:
  TmxState(XML_Parser parser, const TmxLanguages& languages) : parser_(parser) {
    source_.wanted = languages.source;
    target_.wanted = languages.target;
  }

  void start(std::string_view element, const XML_Char** attributes) {
    if (depth_++ == 0 && element != "tmx")
      return stop("wanted a TMX file, found the root element '" + std::string(element) + "'");
    if (segment_depth_ > 0) return start_inline(element, attributes);
    if (element == "tu") {
      unit_line_ = XML_GetCurrentLineNumber(parser_);
      source_.match = target_.match = 0;
    } else if (element == "tuv") {
      language_ = attribute(attributes, "xml:lang");
      if (language_.empty()) language_ = attribute(attributes, "lang");
      if (languages_found.size() < kLanguagesShown) languages_found.insert(language_);
    } else if (element == "seg") {
      segment_depth_ = depth_;
      segment_.clear();
    }
  }

  void end(std::string_view element) {
    const int depth = depth_--;
    if (code_depth_ == depth) code_depth_ = 0;
    if (segment_depth_ == depth) {
      segment_depth_ = 0;
      take(source_);
      take(target_);
    } else if (element == "tu" && segment_depth_ == 0 && source_.match > 0 && target_.match > 0) {
      pairs.push_back({source_.text, target_.text, "", unit_line_});
    }
  }

  void characters(std::string_view text) {
    if (segment_depth_ == 0 || code_depth_ > 0) return;
    if (segment_.size() + text.size() > kMaxSegmentBytes)
      return stop("wanted segments of at most 1 MiB, found a longer one");
    segment_ += text;
  }

  void stop(std::string text) {
    problem = std::move(text);
    XML_StopParser(parser_, XML_FALSE);
  }

  std::deque<Pair> pairs;
  std::set<std::string, std::less<>> languages_found;
  std::string problem;

 private:
  void start_inline(std::string_view element, const XML_Char** attributes) {
    if (code_depth_ > 0 || !is_native_code(element)) return;
    code_depth_ = depth_;
    if (element == "ph" && attribute(attributes, "type") == "lb") segment_ += ' ';
  }

  void take(Side& side) {
    const int match = match_language(side.wanted, language_);
    if (match <= side.match) return;
    side.match = match;
    side.text = segment_;
  }

  XML_Parser parser_;
  Side source_;
  Side target_;
  std::string language_;
  std::string segment_;
  uint64_t unit_line_ = 0;
  int depth_ = 0;
  int segment_depth_ = 0;  // depth of the open seg; 0 outside
  int code_depth_ = 0;     // depth of the outermost open native code; 0 outside
};

void XMLCALL on_start(void* state, const XML_Char* element, const XML_Char** attributes) {
  static_cast<TmxState*>(state)->start(element, attributes);
}
void XMLCALL on_end(void* state, const XML_Char* element) {
  static_cast<TmxState*>(state)->end(element);
}
void XMLCALL on_characters(void* state, const XML_Char* text, int length) {
  static_cast<TmxState*>(state)->characters({text, static_cast<size_t>(length)});
}
void XMLCALL on_entity_declaration(void* state, const XML_Char* name, int, const XML_Char*, int,
                                   const XML_Char*, const XML_Char*, const XML_Char*, const XML_Char*) {
  static_cast<TmxState*>(state)->stop(
      fmt::format("wanted no declared entities, found '{}'; write its text instead", name));
}
void XMLCALL on_unknown_entity(void* state, const XML_Char* name, int) {
  static_cast<TmxState*>(state)->stop(
      fmt::format("the entity '&{};' is not known; write the character instead", name));
}

class TmxReader : public PairReader {
 public:
  TmxReader(const std::filesystem::path& path, const TmxLanguages& languages)
      : bytes_(open_bytes(path)),
        languages_(languages),
        parser_(XML_ParserCreate(nullptr), &XML_ParserFree),
        state_(parser_.get(), languages) {
    XML_SetUserData(parser_.get(), &state_);
    XML_SetElementHandler(parser_.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser_.get(), on_characters);
    XML_SetEntityDeclHandler(parser_.get(), on_entity_declaration);
    XML_SetSkippedEntityHandler(parser_.get(), on_unknown_entity);
  }

  bool next(Pair& pair) override {
    while (state_.pairs.empty() && !done_) parse_chunk();
    if (state_.pairs.empty()) return false;
    any_ = true;
    pair = std::move(state_.pairs.front());
    state_.pairs.pop_front();
    line_ = pair.line;
    return true;
  }

  std::string where() const override { return fmt::format("{}:{}", bytes_->path().string(), line_); }

 private:
  void parse_chunk() {
    void* buffer = XML_GetBuffer(parser_.get(), static_cast<int>(kChunkBytes));
    if (buffer == nullptr) fail("{}: no memory to read this TMX file", bytes_->path().string());
    const size_t got = bytes_->read({static_cast<char*>(buffer), kChunkBytes});
    done_ = got == 0;
    fed_ += static_cast<int64_t>(got);
    if (XML_ParseBuffer(parser_.get(), static_cast<int>(got), done_ ? 1 : 0) == XML_STATUS_ERROR) fail_here();
    if (fed_ - XML_GetCurrentByteIndex(parser_.get()) > kMaxTokenBytes) {
      state_.problem = "wanted tags of at most 4 MiB, found a longer one";
      fail_here();
    }
    if (done_ && !any_ && state_.pairs.empty()) fail_no_pairs();
  }

  [[noreturn]] void fail_here() const {
    const std::string problem =
        !state_.problem.empty()
            ? state_.problem
            : fmt::format("not well-formed XML ({}); export this TMX again or correct it there",
                          XML_ErrorString(XML_GetErrorCode(parser_.get())));
    fail("{}:{}: {}", bytes_->path().string(), XML_GetCurrentLineNumber(parser_.get()), problem);
  }

  [[noreturn]] void fail_no_pairs() const {
    fail("{}: wanted translation units with '{}' and '{}', found none; the languages here are: {}",
         bytes_->path().string(), languages_.source, languages_.target,
         fmt::join(state_.languages_found, ", "));
  }

  std::unique_ptr<ByteStream> bytes_;
  TmxLanguages languages_;
  std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser_;
  TmxState state_;
  int64_t fed_ = 0;
  bool done_ = false;
  bool any_ = false;
  uint64_t line_ = 0;
};

}  // namespace

int match_language(std::string_view wanted, std::string_view found) {
  const auto folded = [](char c) {
    return c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  };
  const size_t shared = std::min(wanted.size(), found.size());
  if (shared == 0) return 0;
  for (size_t i = 0; i < shared; ++i)
    if (folded(wanted[i]) != folded(found[i])) return 0;
  if (wanted.size() == found.size()) return 2;
  const std::string_view longer = wanted.size() > found.size() ? wanted : found;
  return folded(longer[shared]) == '-' ? 1 : 0;
}

std::unique_ptr<PairReader> open_tmx(const std::filesystem::path& path, const TmxLanguages& languages) {
  return std::make_unique<TmxReader>(path, languages);
}

}  // namespace megin::text
