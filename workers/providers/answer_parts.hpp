// Whether an answer holds as much as was asked for: a vector for each input, each of n choices.
#pragma once

#include "workers/provider.hpp"

namespace spillway {

/// Of an answer in the OpenAI form, whatever form it came in: with another number of vectors than
/// the prompt has inputs, or with fewer choices than it asks for, it is none, and `outcome` becomes
/// what a malformed answer comes to. Its usage stays: it was billed.
void require_parts(const prompt_view&, provider_kind, outcome&);

}  // namespace spillway
