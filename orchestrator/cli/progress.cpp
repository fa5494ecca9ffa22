#include "orchestrator/cli/progress.hpp"

#include "orchestrator/cli/format.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace spillway {

namespace {

constexpr duration line_period = std::chrono::seconds(5);
constexpr std::size_t lane_label_columns_max = 32;
constexpr std::size_t lane_bar_columns = 10;

enum class tint { none, green, yellow, red };

/// A line put together from pieces, as many as fit; colours take no columns.
class line_builder {
 public:
  explicit line_builder(const render_style& style) : style_(style) {}

  /// Adds the piece, two columns after the last one; drops it when there is no room.
  bool add(std::string_view piece, tint color = tint::none) {
    const std::size_t gap = used_ == 0 ? 0 : 2;
    const auto width = columns_of(piece);
    if (used_ + gap + width > style_.columns) return false;
    text_.append(gap, ' ');
    append_tinted(piece, color);
    used_ += gap + width;
    return true;
  }

  /// Adds as much of the piece as fits.
  void add_clipped(std::string_view piece) {
    constexpr std::size_t worthwhile = 8;
    if (style_.columns < used_ + 2 + worthwhile) return;
    add(clipped(piece, style_.columns - used_ - 2));
  }

  [[nodiscard]] std::string take() {
    while (text_.ends_with(' ')) text_.pop_back();
    return std::move(text_);
  }

 private:
  void append_tinted(std::string_view piece, tint color) {
    static constexpr const char* codes[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
    const bool on = style_.color && color != tint::none;
    if (on) text_ += codes[static_cast<int>(color)];
    text_ += piece;
    if (on) text_ += "\x1b[0m";
  }

  const render_style& style_;
  std::string text_;
  std::size_t used_ = 0;
};

/// Share of the prompts done; while the input is still being read, of the number to be expected.
double done_share(const run_progress& p) {
  double total = static_cast<double>(p.prompts);
  if (!p.input_read && p.input_share > 0) total /= p.input_share;
  if (total <= 0) return p.input_read ? 1 : 0;
  return std::clamp(static_cast<double>(p.answered + p.errors) / total, 0.0, 1.0);
}

std::string counts_text(const run_progress& p) {
  return grouped(p.answered + p.errors) + " / " + grouped(p.prompts) + (p.input_read ? "" : "+");
}

std::string money_text(const run_progress& p) {
  if (!p.budget) return usd(p.settled);
  return usd(p.settled) + " of " + usd(*p.budget);
}

tint color_of(lane_health health) {
  switch (health) {
    case lane_health::up: return tint::green;
    case lane_health::held:
    case lane_health::probing:
    case lane_health::day_spent: return tint::yellow;
    case lane_health::broken:
    case lane_health::down_auth:
    case lane_health::down_billing:
    case lane_health::down_model:
    case lane_health::no_credentials: break;
  }
  return tint::red;
}

bool is_down(lane_health health) {
  return health == lane_health::down_auth || health == lane_health::down_billing ||
         health == lane_health::down_model || health == lane_health::no_credentials;
}

/// Use of the tightest quota; of the concurrency when there is no rate.
std::optional<double> quota_use(const lane_progress& lane) {
  if (lane.rpm_used || lane.tpm_used)
    return std::max(lane.rpm_used.value_or(0), lane.tpm_used.value_or(0));
  if (lane.concurrency && *lane.concurrency > 0)
    return static_cast<double>(lane.in_flight) / static_cast<double>(*lane.concurrency);
  return std::nullopt;
}

std::string head_line(const run_progress& p, const render_style& style) {
  std::vector<std::string> pieces{percent(done_share(p)), counts_text(p), rate_text(p.rate),
                                  "in flight " + grouped(p.in_flight), money_text(p)};
  if (p.eta) pieces.push_back("ETA " + brief(*p.eta));
  if (p.errors > 0) pieces.push_back("errors " + grouped(p.errors));
  std::size_t taken = 0;
  for (const auto& piece : pieces) taken += columns_of(piece) + 2;
  constexpr std::size_t bar_min = 12, bar_max = 42;
  const std::size_t left = style.columns > taken ? style.columns - taken : 0;
  line_builder line(style);
  line.add(bar(done_share(p), std::clamp(left, bar_min, bar_max), style.unicode));
  for (const auto& piece : pieces)
    if (!line.add(piece)) break;
  return line.take();
}

std::string lane_line(const lane_progress& lane, std::size_t label_columns,
                      const render_style& style) {
  line_builder line(style);
  line.add(padded_right("  " + clipped(lane_label(lane), label_columns), label_columns + 2));
  const auto use = quota_use(lane);
  if (use) {
    line.add(bar(*use, lane_bar_columns, style.unicode) + padded_left(percent(*use), 5));
  } else {
    line.add(padded_right("no quota", lane_bar_columns + 5));
  }
  constexpr std::size_t health_columns = 10;
  line.add(padded_right(health_text(lane), health_columns), color_of(lane.health));
  if (is_down(lane.health)) {  // nothing will move here: why is what matters
    line.add_clipped(printable(lane.reason));
    return line.take();
  }
  const bool room = line.add(padded_right("spill in " + compact(lane.totals.spilled_in) + " out " +
                                              compact(lane.totals.spilled_out),
                                          20)) &&
                    line.add(padded_right("429 " + compact(lane.totals.refused_429), 7)) &&
                    line.add(padded_right("done " + compact(lane.totals.answered), 10));
  if (room && !lane.reason.empty()) line.add_clipped(printable(lane.reason));
  return line.take();
}

bool is_utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    const std::string_view locale(value);
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n <= 0) return;  // a lost terminal must not stop the run
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

render_style style_of_terminal(int fd) {
  render_style style;
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
    if (size.ws_col > 0) style.columns = size.ws_col;
    if (size.ws_row > 0) style.rows = size.ws_row;
  }
  if (const char* columns = std::getenv("COLUMNS")) {
    const long n = std::strtol(columns, nullptr, 10);
    if (n > 0 && n < 10'000) style.columns = static_cast<std::size_t>(n);
  }
  const char* no_color = std::getenv("NO_COLOR");
  style.color = isatty(fd) && !(no_color && *no_color);
  style.unicode = is_utf8_locale();
  return style;
}

std::string lane_label(const lane_progress& lane) { return printable(lane.pool + "/" + lane.lane); }

std::string health_text(const lane_progress& lane) {
  std::string text;
  switch (lane.health) {
    case lane_health::up: return "up";
    case lane_health::held: text = "held"; break;
    case lane_health::broken: text = "broken"; break;
    case lane_health::probing: return "probing";
    case lane_health::down_auth: text = "down: auth"; break;
    case lane_health::down_billing: text = "down: billing"; break;
    case lane_health::down_model: text = "down: model"; break;
    case lane_health::day_spent: text = "day spent"; break;
    case lane_health::no_credentials: return "no credentials";
  }
  if (lane.resumes_in) text += " " + brief(*lane.resumes_in);
  return text;
}

std::vector<std::string> render_block(const run_progress& p, const render_style& style) {
  std::vector<std::string> out{head_line(p, style)};
  if (!p.stop_reason.empty()) {
    out.push_back(
        clipped(printable(std::string(name_of(p.state)) + ": " + p.stop_reason), style.columns));
  }
  std::size_t label_columns = 0;
  for (const auto& lane : p.lanes)
    label_columns = std::max(label_columns, columns_of(lane_label(lane)));
  label_columns = std::min({label_columns, lane_label_columns_max, style.columns / 2});
  // The block must stay shorter than the screen, or it can't be redrawn in place.
  const std::size_t used = out.size() + 2;
  std::size_t shown = p.lanes.size();
  if (shown + used > style.rows) shown = style.rows > used + 1 ? style.rows - used - 1 : 0;
  for (std::size_t i = 0; i < shown; ++i)
    out.push_back(lane_line(p.lanes[i], label_columns, style));
  if (shown < p.lanes.size()) {
    out.push_back(clipped(
        "  and " + grouped(static_cast<std::int64_t>(p.lanes.size() - shown)) + " more lanes",
        style.columns));
  }
  return out;
}

std::string render_line(const run_progress& p) {
  std::string text = std::string(name_of(p.state)) + " " + percent(done_share(p)) + ": " +
                     counts_text(p) + ", " + rate_text(p.rate) + ", in flight " +
                     grouped(p.in_flight) + ", errors " + grouped(p.errors) + ", cost " +
                     money_text(p);
  if (p.eta) text += ", ETA " + brief(*p.eta);
  for (const auto& lane : p.lanes) {
    text += "; " + lane_label(lane) + " " + health_text(lane);
    if (const auto use = quota_use(lane)) text += " " + percent(*use);
  }
  if (!p.stop_reason.empty()) text += "; " + printable(p.stop_reason);
  return text;
}

progress_view::mode progress_view::mode_of_terminal() {
  const char* term = std::getenv("TERM");
  const bool dumb = !term || !*term || std::string_view(term) == "dumb";
  return isatty(STDERR_FILENO) && !dumb ? mode::block : mode::lines;
}

void progress_view::show(const run_progress& p) {
  const std::scoped_lock lock(mutex_);
  if (mode_ == mode::block) {
    block_ = render_block(p, style_of_terminal(STDERR_FILENO));
    draw();
  } else if (mode_ == mode::lines) {
    const bool due = p.now - last_line_at_ >= line_period;
    if (!due && p.state == last_state_) return;
    last_line_at_ = p.now;
    last_state_ = p.state;
    write_all(render_line(p) + "\n");
  }
}

void progress_view::write_above(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  erase();
  write_all(text);
  if (!block_.empty()) draw();
}

void progress_view::finish() {
  const std::scoped_lock lock(mutex_);
  erase();
  block_.clear();
}

void progress_view::erase() {
  if (drawn_ == 0) return;
  write_all("\x1b[" + std::to_string(drawn_) + "A\r\x1b[J");
  drawn_ = 0;
}

void progress_view::draw() {
  std::string text;
  if (drawn_ > 0) text = "\x1b[" + std::to_string(drawn_) + "A\r";
  for (const auto& line : block_) text += line + "\x1b[K\n";
  text += "\x1b[J";  // a shorter block than before leaves nothing behind
  drawn_ = block_.size();
  write_all(text);
}

}  // namespace spillway
