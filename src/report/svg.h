// What pictures are made of: shapes and words of one SVG, colours, and the range of what is drawn.
#pragma once

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

#include "base/human_text.h"
#include "report/markup.h"

namespace megin::report {

// Okabe and Ito's colours, which people with any colour vision tell apart, darkened where thin lines on white
// need it.
inline constexpr std::array<std::string_view, 8> kColours{"#0072B2", "#D55E00", "#009E73", "#B8518F",
                                                          "#B07D00", "#3A9BD0", "#4D4D4D", "#8A6D3B"};

// Of the values drawn; infinite as long as there are none.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
};

inline constexpr double kGlyph = 0.56;  // mean width of a letter, in sizes of the font

struct Box {
  double left, top, right, bottom;
};

inline double text_width(std::string_view text, double size) {
  return kGlyph * size * static_cast<double>(display_width(text));
}

struct TextStyle {
  double size = 12;
  std::string_view anchor = "start";
  std::string_view colour = "#57606A";
  std::string_view weight = "400";
};

// Collects the picture's elements.
class Svg {
 public:
  Svg(int width, int height) {
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"-apple-system, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', "
        "sans-serif\">\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"#FFFFFF\"/>\n",
        width, height);
  }
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void text(double x, double y, std::string_view words, const TextStyle& style) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" font-weight=\"{}\" text-anchor=\"{}\" "
        "fill=\"{}\">{}</text>\n",
        x, y, style.size, style.weight, style.anchor, style.colour, escaped(words));
  }
  void line(const Box& ends, std::string_view colour) {
    add("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", ends.left,
        ends.top, ends.right, ends.bottom, colour);
  }
  std::string finish() && { return std::move(out_) + "</svg>\n"; }

 private:
  std::string out_;
};

}  // namespace megin::report
