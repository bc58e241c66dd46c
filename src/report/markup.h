// Text inside SVG and HTML.
#pragma once

#include <string>
#include <string_view>

namespace megin::report {

// Text as it may stand between tags and in attributes: & < > " are written as entities.
std::string escaped(std::string_view text);

}  // namespace megin::report
