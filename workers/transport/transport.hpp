// The seam between the engine and the network: many calls in flight, none of them a thread.
#pragma once

#include "schemas/config.hpp"
#include "schemas/ids.hpp"
#include "schemas/result.hpp"
#include "workers/http.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace spillway {

enum class transport_error {
  none,       ///< a complete response was read
  connect,    ///< no connection (name, refused, unreachable, timed out): nothing was sent
  tls,        ///< handshake or verification failed: nothing was sent
  reset,      ///< the connection ended before the response was complete
  timed_out,  ///< the lane's timeout passed after sending began
  too_large,  ///< the response is larger than allowed
  malformed,  ///< not HTTP
  cancelled,  ///< stopped by us
};

[[nodiscard]] const char* name_of(transport_error);

struct outgoing_call {
  call_id id;
  http_request request;
  /// Given back unsent (error `cancelled`) when its writing has not begun by then.
  time_point send_before = time_never;
};

struct call_result {
  call_id id;
  transport_error error = transport_error::none;
  bool written = false;  ///< at least one byte of the request may have left
  std::string detail;    ///< for error != none: one line for people
  http_response response;
  time_point sent_at;  ///< when writing began; the submit time when it never did
  time_point done_at;
};

/// Receives finished calls. Called from I/O threads, in batches; must be thread-safe and quick.
using call_sink = std::function<void(std::vector<call_result>)>;

/// Sends calls of lanes over pooled connections. All methods are thread-safe.
/// Every submitted call comes back through the sink exactly once, whatever happens.
class transport {
 public:
  virtual ~transport() = default;
  /// Queues calls for a lane. At most `lane concurrency` of them run at once (connections of the
  /// pool permitting), in order; a freed connection takes the next at once.
  virtual void submit(lane_id lane, std::vector<outgoing_call> calls) = 0;
  /// Gives back every call that has not begun to be written (error `cancelled`, written = false).
  virtual void cancel_queued() = 0;
  /// Ends all calls now (error `cancelled`); `written` tells which may have been billed.
  virtual void cancel_all() = 0;
};

struct transport_limits {
  std::size_t response_bytes_max = 64u << 20;
  std::size_t header_bytes_max = 64u << 10;
  duration connect_timeout = std::chrono::seconds(10);
  duration idle_timeout = std::chrono::seconds(50);  ///< an idle connection is closed after this
  std::int64_t connections_default = 256;  ///< a pool's cap when neither it nor its lanes say
  unsigned threads = 1;
};

/// Connections a pool may open: `connections`, else the lanes' summed concurrency when every lane
/// has one, else `connections_default`.
[[nodiscard]] std::int64_t connection_cap(const pool_config&, const transport_limits&);

/// The real transport: HTTP/1.1 keep-alive over TCP or TLS. Lane ids
/// count the lanes of all pools in configuration order. Fails when an endpoint is not a URL or a CA
/// file cannot be read. `now` is the engine's clock and must be thread-safe.
[[nodiscard]] result<std::unique_ptr<transport>> make_http_transport(
    const std::vector<pool_config>& pools, const transport_limits& limits,
    std::function<time_point()> now, call_sink sink);

}  // namespace spillway
