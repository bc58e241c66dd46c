// Text inside SVG, HTML and CSV.
#pragma once

#include <string>
#include <string_view>

namespace megin::report {

// Text as it may stand between tags and in attributes: & < > " are written as entities.
std::string escaped(std::string_view text);

// Text as a field of a line of CSV: in quotes where it holds a comma, a quote or a line end (RFC 4180).
std::string csv_field(std::string_view text);

}  // namespace megin::report
