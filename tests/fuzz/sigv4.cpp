// What is signed: the path and query, header lines and the body of a request, from three lines.
#include "workers/auth/sigv4.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  static const sigv4_signer signer({"AKIDEXAMPLE", "secret", "token"},
                                   {"bedrock-runtime.us-east-1.amazonaws.com", "us-east-1", "b"});
  fuzz::input in(data, size);
  http_request request;
  request.target = "/" + in.line();
  const auto header = in.line();
  if (header.find('\r') == std::string::npos) request.headers = "x-a: " + header + "\r\n";
  request.body = in.rest();
  const auto path = canonical_path(request.target.substr(0, request.target.find('?')));
  fuzz::must(path.starts_with('/'), "a path begins with a slash");
  fuzz::must(path.find("//") == std::string::npos, "slashes are single");
  fuzz::must(std::all_of(path.begin(), path.end(),
                         [](char c) {
                           return std::isalnum(static_cast<unsigned char>(c)) ||
                                  std::string_view("/-_.~%").find(c) != std::string_view::npos;
                         }),
             "everything else is encoded");
  static_cast<void>(canonical_query(request.target));
  static_cast<void>(region_of(header));
  const auto before = request;
  signer.sign(request, time_point(std::chrono::seconds(1'800'000'000)));
  fuzz::must(request.target == before.target && request.body == before.body,
             "what is signed is not changed");
  const auto added = request.headers.substr(before.headers.size());
  fuzz::must(request.headers.starts_with(before.headers), "headers are added at the end");
  fuzz::must(added.find("Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/") !=
                     std::string::npos &&
                 std::count(added.begin(), added.end(), '\n') == 3,
             "three headers are added");
  return 0;
}
