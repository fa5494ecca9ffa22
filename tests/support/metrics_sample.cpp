// Prints /metrics as a member shows it, for tools that check the exposition: `full` is a member in
// which everything happened, with names meant to break it; `new` one that has just started.
#include "orchestrator/service/metrics.hpp"
#include "tests/support/sample_metrics.hpp"

#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  using namespace spillway;
  const std::string_view which = argc == 2 ? argv[1] : "";
  std::string page;
  if (which == "full") {
    auto member = test::sample_member();
    member.jobs.push_back(test::sample_job("quote \" backslash \\ line\nend \xff{}, é"));
    for (std::size_t i = 0; i < 2 * service::jobs_shown_max; ++i)
      member.jobs.push_back(test::sample_job("job-" + std::to_string(i)));
    page = service::metrics_page(member, test::sample_process(), std::chrono::milliseconds(3));
  } else if (which == "new") {
    page = service::metrics_page({}, service::read_process_stats(), {});
  } else {
    std::fputs("usage: spillway_metrics_sample full|new\n", stderr);
    return 2;
  }
  std::fputs(page.c_str(), stdout);
  return 0;
}
