// What an identity service answers, before it is a response. Private to the identity files.
#pragma once

#include "workers/simulator/identity.hpp"

#include <boost/json.hpp>

namespace spillway::simulated {

struct identity::response {
  int status = 200;
  std::string body;
  std::string_view content_type = "application/json";
  std::string_view extra = {};  ///< header lines
  bool issued = false;

  static response json(int status, const boost::json::object& object) {
    return {status, boost::json::serialize(object)};
  }
};

enum class identity::endpoint {
  google_token,
  google_metadata,
  entra_token,
  managed_identity,
  sts,
  instance,
  container
};

}  // namespace spillway::simulated
