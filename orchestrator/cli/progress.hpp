// Progress for people: a block redrawn in place on a terminal, plain lines elsewhere.
#pragma once

#include "orchestrator/engine/progress.hpp"

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

/// What the terminal can show.
struct render_style {
  std::size_t columns = 80;
  std::size_t rows = 24;
  bool color = false;
  bool unicode = false;
};

/// Size from COLUMNS or the terminal behind `fd`; colours unless NO_COLOR is set.
[[nodiscard]] render_style style_of_terminal(int fd);

/// One line for the run, one a lane, none wider than the terminal.
[[nodiscard]] std::vector<std::string> render_block(const run_progress&, const render_style&);
/// The same on one line: "running 46%  4,620 / 10,000 ...".
[[nodiscard]] std::string render_line(const run_progress&);
/// "pool/lane", safe to print.
[[nodiscard]] std::string lane_label(const lane_progress&);
/// "up", "held 12s", "down: auth", ...
[[nodiscard]] std::string health_text(const lane_progress&);

/// Draws on standard error. Log lines go through `write_above`, so that block and log do not mix.
class progress_view {
 public:
  enum class mode { none, block, lines };
  explicit progress_view(mode m) : mode_(m) {}
  /// `block` on a capable terminal, else `lines`.
  [[nodiscard]] static mode mode_of_terminal();

  void show(const run_progress&);
  void write_above(std::string_view text);
  /// Takes the block off the screen.
  void finish();

 private:
  void erase();
  void draw();

  const mode mode_;
  std::mutex mutex_;
  std::vector<std::string> block_;
  std::size_t drawn_ = 0;
  time_point last_line_at_{};
  run_state last_state_ = run_state::starting;
};

}  // namespace spillway
