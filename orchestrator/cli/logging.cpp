#include "orchestrator/cli/logging.hpp"

#include "connectors/rows.hpp"
#include "orchestrator/cli/format.hpp"
#include "orchestrator/engine/progress_json.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <boost/json/value.hpp>

#include <memory>
#include <mutex>

namespace spillway {

namespace {

std::string_view view_of(spdlog::string_view_t text) { return {text.data(), text.size()}; }

/// One JSON object a line; spdlog's patterns can't escape a message.
class json_formatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
    boost::json::object line;
    line["time"] = iso_time(std::chrono::time_point_cast<duration>(msg.time));
    line["level"] = boost::json::string_view(view_of(spdlog::level::to_string_view(msg.level)));
    line["message"] = boost::json::string_view(view_of(msg.payload));
    const auto text = json_line(line) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<json_formatter>();
  }
};

class function_sink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit function_sink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    spdlog::memory_buf_t buffer;
    formatter_->format(msg, buffer);
    // A line stays a line, whatever a server's message contains.
    std::string line = printable({buffer.data(), buffer.size()});
    if (!line.empty()) line.back() = '\n';
    write_(line);
  }
  void flush_() override {}

 private:
  std::function<void(std::string_view)> write_;
};

}  // namespace

void setup_logging(const std::string& level, log_format format,
                   std::function<void(std::string_view)> write) {
  auto sink = std::make_shared<function_sink>(std::move(write));
  if (format == log_format::json) {
    sink->set_formatter(std::make_unique<json_formatter>());
  } else {
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%H:%M:%S.%e %-5l %v", spdlog::pattern_time_type::utc));
  }
  auto logger = std::make_shared<spdlog::logger>("spillway", std::move(sink));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void reset_logging() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("spillway", std::move(sink)));
}

}  // namespace spillway
