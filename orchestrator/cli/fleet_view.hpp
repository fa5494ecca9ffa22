// One line of progress on standard error, and tables of text columns.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace spillway {

/// Redraws its line on a terminal; elsewhere prints it every five seconds. Not thread-safe.
class status_line {
 public:
  explicit status_line(bool quiet);
  ~status_line();
  void show(const std::string& line);
  /// Takes the line off the screen.
  void finish();
  /// True when `show` would do anything now: for lines that cost something to put together.
  [[nodiscard]] bool due() const;

 private:
  bool terminal_ = false, quiet_ = false, drawn_ = false;
  std::chrono::steady_clock::time_point next_at_{};
};

/// Columns aligned by spaces; the first row is the header. Numbers (columns named in `right`) are
/// set flush right.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows,
                                     const std::vector<std::size_t>& right = {});

/// Writes all of it to standard output.
void print(const std::string& text);

}  // namespace spillway
