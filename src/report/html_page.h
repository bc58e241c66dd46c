// A page that stands by itself: one HTML file with its pictures in it, readable without a network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/table.h"

namespace megin::report {

class HtmlPage {
 public:
  explicit HtmlPage(std::string title);

  void heading(std::string_view text);
  void paragraph(std::string_view text);
  // SVG pictures, side by side where there is room.
  void charts(const std::vector<std::string>& svgs);
  // Rows of as many cells as there are columns.
  void table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows);
  // Text in a fixed font that is shown on a click.
  void folded(std::string_view summary, std::string_view text);

  std::string html() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace megin::report
