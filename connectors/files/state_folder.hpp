// Finding, creating and checking the state folder of a job.
#pragma once

#include "connectors/files/file_log.hpp"
#include "connectors/files/input.hpp"
#include "connectors/files/state_codec.hpp"
#include "orchestrator/runtime/index_store.hpp"

#include <memory>

namespace spillway {

/// A state that is open, locked and belongs to this job, with its row files.
struct opened_state {
  std::unique_ptr<index_store> store;
  row_file results, errors;
  state::progress progress;
};

/// Opens the state, or creates it (with empty row files) when there is none.
[[nodiscard]] result<opened_state> open_state(const file_log_options&, const input_reader&);

}  // namespace spillway
