#include "report/html_page.h"

#include <fmt/format.h>

#include <utility>

#include "report/markup.h"

namespace megin::report {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1600px; padding: 24px 32px 64px; color: #1f2328; background: #fff;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 36px 0 10px; padding-top: 12px; border-top: 1px solid #d8dee4; }
p { max-width: 75em; margin: 6px 0 12px; color: #424a53; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 520px), 1fr)); gap: 16px; }
.charts svg { width: 100%; height: auto; border: 1px solid #d8dee4; border-radius: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid #eaeef2; white-space: nowrap; }
th { color: #57606a; font-weight: 600; }
.right { text-align: right; }
details { margin: 8px 0; }
summary { cursor: pointer; color: #0550ae; }
pre { overflow-x: auto; padding: 12px; background: #f6f8fa; border-radius: 6px; font-size: 13px; }
)";

std::string cell(std::string_view tag, const Column& column, std::string_view text) {
  return fmt::format("<{}{}>{}</{}>", tag, column.align == Align::kRight ? " class=\"right\"" : "",
                     escaped(text), tag);
}

}  // namespace

HtmlPage::HtmlPage(std::string title) : title_(std::move(title)) {}

void HtmlPage::heading(std::string_view text) {
  body_ += fmt::format("<h2>{}</h2>\n", escaped(text));
}

void HtmlPage::paragraph(std::string_view text) {
  body_ += fmt::format("<p>{}</p>\n", escaped(text));
}

void HtmlPage::charts(const std::vector<std::string>& svgs) {
  body_ += "<div class=\"charts\">\n";
  for (const std::string& svg : svgs) body_ += svg;
  body_ += "</div>\n";
}

void HtmlPage::table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows) {
  body_ += "<div class=\"scroll\"><table>\n<tr>";
  for (const Column& column : columns) body_ += cell("th", column, column.heading);
  body_ += "</tr>\n";
  for (const auto& row : rows) {
    body_ += "<tr>";
    for (size_t i = 0; i < columns.size(); ++i) body_ += cell("td", columns[i], row.at(i));
    body_ += "</tr>\n";
  }
  body_ += "</table></div>\n";
}

void HtmlPage::folded(std::string_view summary, std::string_view text) {
  body_ +=
      fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n", escaped(summary), escaped(text));
}

std::string HtmlPage::html() const {
  const std::string title = escaped(title_);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n{}</body>\n</html>\n",
      title, kStyle, title, body_);
}

}  // namespace megin::report
