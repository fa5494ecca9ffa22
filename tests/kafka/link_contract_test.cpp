// The contract of partition_link against the real broker.
#include "tests/support/link_contract.hpp"

#include "tests/kafka/broker.hpp"

namespace spillway::kafka {

INSTANTIATE_TEST_SUITE_P(broker, link_contract, testing::Values(link_world_maker(real_link_world)),
                         [](const auto&) { return "real"; });

}  // namespace spillway::kafka
