#include "text/po_reader.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <deque>
#include <utility>

#include "base/error.h"
#include "text/catalogue.h"
#include "text/line_reader.h"
#include "text/unicode.h"

namespace megin::text {
namespace {

constexpr size_t kMaxStringBytes = 1 << 20;
constexpr size_t kMaxForms = 16;  // msgstr[N]: no language has more than six

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

class PoReader : public PairReader {
 public:
  PoReader(const std::filesystem::path& path, const CatalogueOptions& options)
      : lines_(path), options_(options) {}

  bool next(Pair& pair) override {
    while (pairs_.empty() && !done_) read_line();
    if (pairs_.empty()) return false;
    pair = std::move(pairs_.front());
    pairs_.pop_front();
    line_ = pair.line;
    return true;
  }

  std::string where() const override { return fmt::format("{}:{}", lines_.path().string(), line_); }

 private:
  void read_line() {
    if (!lines_.next(raw_)) {
      end_entry();
      done_ = true;
      return;
    }
    if (!is_utf8_charset(charset_)) raw_ = to_utf8(raw_, charset_);
    const std::string_view line = trim(raw_);
    if (line.empty()) return;
    if (line[0] == '#') return read_comment(line);
    if (line[0] == '"') return append_string(line);
    read_keyword(line);
  }

  // A comment after a msgstr belongs to the next entry. Obsolete entries (#~) are comments to us.
  void read_comment(std::string_view line) {
    if (!entry_.translations.empty()) end_entry();
    if (line.starts_with("#,") && line.find("fuzzy") != std::string_view::npos) fuzzy_ = true;
  }

  void read_keyword(std::string_view line) {
    const size_t quote = line.find('"');
    const std::string_view keyword = trim(line.substr(0, quote));
    if (quote == std::string_view::npos) fail_here("wanted a keyword and a quoted string", line);
    if (keyword == "msgctxt" || keyword == "msgid") {
      if (!entry_.translations.empty()) end_entry();
      if (entry_.line == 0) entry_.line = lines_.line_number();
    }
    if (keyword == "msgctxt") {
      string_ = &entry_.context;
    } else if (keyword == "msgid") {
      if (std::exchange(has_id_, true)) fail_here("wanted the msgstr of the msgid before", line);
      string_ = &entry_.id;
    } else if (keyword == "msgid_plural") {
      string_ = &entry_.plural_id;
    } else if (keyword.starts_with("msgstr")) {
      string_ = &translation(keyword.substr(6), line);
    } else if (keyword == "domain") {
      string_ = &ignored_;
    } else {
      fail_here("wanted msgctxt, msgid, msgid_plural or msgstr", line);
    }
    string_->clear();
    append_string(line.substr(quote));
  }

  // Where "msgstr" or "msgstr[N]" goes.
  std::string& translation(std::string_view index, std::string_view line) {
    if (!has_id_) fail_here("wanted a msgid before this msgstr", line);
    size_t form = 0;
    if (!index.empty()) {
      const bool good = index.size() >= 3 && index.front() == '[' && index.back() == ']' &&
                        std::isdigit(static_cast<unsigned char>(index[1])) != 0;
      form = good ? std::strtoul(index.data() + 1, nullptr, 10) : kMaxForms;
      if (form >= kMaxForms) fail_here("wanted msgstr[N] with a small number", line);
    }
    if (entry_.translations.size() <= form) entry_.translations.resize(form + 1);
    return entry_.translations[form];
  }

  // Adds what stands between the quotes of `line`.
  void append_string(std::string_view line) {
    if (string_ == nullptr) fail_here("wanted a keyword before this string", line);
    if (line.size() < 2 || line.back() != '"') fail_here("wanted a closing quote", line);
    const std::string_view body = line.substr(1, line.size() - 2);
    for (size_t i = 0; i < body.size(); ++i) {
      if (body[i] == '"') fail_here("wanted \\\" for a quote inside a string", line);
      if (body[i] != '\\') {
        string_->push_back(body[i]);
      } else {
        if (i + 1 == body.size()) fail_here("wanted a closing quote", line);
        i = append_escape(body, i + 1, line);
      }
    }
    if (string_->size() > kMaxStringBytes) fail_here("wanted strings of at most 1 MiB", line);
  }

  // Adds the character that the escape at body[at] means (the backslash is before it); returns its last
  // index.
  size_t append_escape(std::string_view body, size_t at, std::string_view line) {
    constexpr std::string_view kNames = "ntrabfv\\\"'?";
    constexpr std::string_view kMeanings = "\n\t\r\a\b\f\v\\\"'?";
    const size_t name = kNames.find(body[at]);
    if (name != std::string_view::npos) {
      string_->push_back(kMeanings[name]);
      return at;
    }
    const int base = body[at] == 'x' ? 16 : 8;
    const size_t begin = base == 16 ? at + 1 : at;
    const size_t most = base == 16 ? 2 : 3;
    const std::string_view alphabet = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    const size_t end = body.find_first_not_of(alphabet, begin);
    const std::string digits(body.substr(begin, std::min({end, body.size(), begin + most}) - begin));
    if (digits.empty()) fail_here("wanted a known escape after the backslash", line);
    string_->push_back(static_cast<char>(std::strtoul(digits.c_str(), nullptr, base)));
    return begin + digits.size() - 1;
  }

  void end_entry() {
    const bool header = entry_.id.empty() && entry_.context.empty();
    if (has_id_ && entry_.translations.empty())
      fail("{}:{}: wanted a msgstr for this msgid, found the end of the file; is the file complete?",
           lines_.path().string(), entry_.line);
    if (header && has_id_) charset_ = header_charset(entry_.translations[0]);
    if (!header && !fuzzy_) append_pairs(entry_, options_, pairs_);
    entry_ = {};
    fuzzy_ = false;
    has_id_ = false;
    string_ = nullptr;
  }

  [[noreturn]] void fail_here(const char* wanted, std::string_view line) const {
    constexpr size_t kShown = 60;
    fail("{}: {}, found '{}'; correct this PO file ('msgfmt -c' checks it)", lines_.where(), wanted,
         line.substr(0, kShown));
  }

  LineReader lines_;
  CatalogueOptions options_;
  std::string charset_ = "UTF-8";
  std::string raw_;
  std::string ignored_;
  CatalogueEntry entry_;
  std::string* string_ = nullptr;  // where continuation lines go
  bool has_id_ = false;
  bool fuzzy_ = false;
  bool done_ = false;
  std::deque<Pair> pairs_;
  uint64_t line_ = 0;
};

}  // namespace

std::unique_ptr<PairReader> open_po(const std::filesystem::path& path, const CatalogueOptions& options) {
  return std::make_unique<PoReader>(path, options);
}

}  // namespace megin::text
