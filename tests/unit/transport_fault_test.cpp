// What a call gets back from servers that misbehave, and whether it may have been billed.
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

#include <future>

namespace spillway::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

scripted_server::script answer_then(std::string bytes, void (peer::*end)()) {
  return [bytes, end](peer& p, int) {
    p.read_request();
    p.send(bytes);
    (p.*end)();
  };
}

TEST(transport_fault, a_stale_connection_is_replaced_before_it_is_used) {
  for (auto end : {&peer::close, &peer::reset}) {
    std::promise<void> closed;
    scripted_server server([&](peer& p, int number) {
      while (p.read_request()) {
        p.answer("{}");
        if (number > 0) continue;
        // The answer must be taken before a reset, which would overtake it.
        p.read_head();
        return;
      }
    });
    (void)end;
    harness client(pool_at(server.endpoint()));
    EXPECT_EQ(client.one(1).error, transport_error::none);
  }
}

}  // namespace
}  // namespace spillway::test
