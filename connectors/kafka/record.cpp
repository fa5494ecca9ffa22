#include "connectors/kafka/record.hpp"

namespace spillway::kafka {

std::string_view name_of(topic t) {
  switch (t) {
    case topic::jobs: return "jobs";
    case topic::shards: return "shards";
    case topic::results: return "results";
    case topic::journal: return "journal";
    case topic::late: return "late";
    case topic::ctl: return "ctl";
    case topic::progress: return "progress";
    case topic::dead: return "dead";
  }
  return "unknown";
}

}  // namespace spillway::kafka
