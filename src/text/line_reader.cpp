#include "text/line_reader.h"

#include <cstring>

#include "base/error.h"

namespace megin::text {
namespace {
constexpr size_t kBufferBytes = size_t{64} << 10;
}

LineReader::LineReader(const std::filesystem::path& path, size_t max_line_bytes)
    : stream_(open_bytes(path)), buffer_(kBufferBytes), max_line_bytes_(max_line_bytes) {
  fill();
  skip_byte_order_mark();
}

bool LineReader::fill() {
  begin_ = 0;
  end_ = 0;
  end_ = stream_->read(buffer_);
  return end_ > 0;
}

void LineReader::skip_byte_order_mark() {
  const std::string_view start(buffer_.data(), end_);
  if (start.starts_with("\xEF\xBB\xBF")) begin_ = 3;
  const bool big_endian = start.starts_with("\xFE\xFF");
  if (big_endian || start.starts_with("\xFF\xFE"))
    fail("{0}:1: wanted UTF-8 text, found UTF-16; convert it with 'iconv -f UTF-16 -t UTF-8 {0}'",
         path().string());
}

bool LineReader::next(std::string& line) {
  line.clear();
  bool any = false;
  while (begin_ < end_ || fill()) {
    any = true;
    const char* start = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const size_t bytes = newline != nullptr ? static_cast<size_t>(newline - start) : end_ - begin_;
    if (line.size() + bytes > max_line_bytes_)
      fail("{}:{}: wanted lines of at most {} bytes, found a longer one; is this a text file?",
           path().string(), line_number_ + 1, max_line_bytes_);
    line.append(start, bytes);
    begin_ += bytes;
    if (newline == nullptr) continue;
    ++begin_;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    break;
  }
  if (any) ++line_number_;
  return any;
}

std::string LineReader::where() const {
  return fmt::format("{}:{}", path().string(), line_number_);
}

}  // namespace megin::text
