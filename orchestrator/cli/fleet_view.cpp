#include "orchestrator/cli/fleet_view.hpp"

#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace spillway {

namespace {

constexpr std::chrono::milliseconds redraw_period{100};
constexpr std::chrono::seconds line_period{5};

}  // namespace

status_line::status_line(bool quiet)
    : terminal_(progress_view::mode_of_terminal() == progress_view::mode::block), quiet_(quiet) {
  if (!terminal_) next_at_ = std::chrono::steady_clock::now() + line_period;
}

status_line::~status_line() { finish(); }

bool status_line::due() const { return !quiet_ && std::chrono::steady_clock::now() >= next_at_; }

void status_line::show(const std::string& line) {
  if (!due()) return;
  const auto now = std::chrono::steady_clock::now();
  if (terminal_) {
    next_at_ = now + redraw_period;
    const auto columns = style_of_terminal(STDERR_FILENO).columns;
    std::fprintf(stderr, "\r%s\x1b[K", clipped(line, columns > 1 ? columns - 1 : 1).c_str());
    drawn_ = true;
  } else {
    next_at_ = now + line_period;
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void status_line::finish() {
  if (drawn_) std::fprintf(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows,
                       const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool flush_right = std::find(right.begin(), right.end(), i) != right.end();
      if (i > 0) line += "  ";
      line += flush_right ? padded_left(row[i], widths[i]) : padded_right(row[i], widths[i]);
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace spillway
