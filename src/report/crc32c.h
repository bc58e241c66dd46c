// CRC-32C (Castagnoli), as TFRecord files are checked with (RFC 3720, appendix B.4).
#pragma once

#include <cstdint>
#include <string_view>

namespace megin::report {

uint32_t crc32c(std::string_view bytes);

}  // namespace megin::report
