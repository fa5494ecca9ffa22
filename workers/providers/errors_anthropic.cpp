// Anthropic's rows. `type` is the error's, `inner_code` the error_code of its details.
#include "workers/providers/error_words.hpp"

namespace spillway {

using namespace error_words;

namespace {

constexpr error_rule table[] = {
    // Money: said in details, in a type of its own, or in nothing but words.
    {anthropic, 400, 499, "contract_spend_limit_reached", "", "", B | S, firm},
    {anthropic, 400, 499, "enforced_spend_limit_reached", "", "", B | S, firm},
    {anthropic, 400, 499, "linked_organization_spend_limit_reached", "", "", B | S, firm},
    {anthropic, 400, 499, "linked_organization_billing_unavailable", "", "", B | S, firm},
    {anthropic, 400, 499, "", "billing_error", "", B | S, firm},
    {anthropic, 400, 499, "", "", "credit balance is too low", B | S, firm},
    {anthropic, 400, 499, "", "", "reached your specified*usage limits", B | S, firm},

    // The organisation, the key, the workspace.
    {anthropic, 400, 499, "organization_on_hold", "", "", A | S, firm},
    {anthropic, 400, 400, "", "", "organization has been disabled", A | S, firm},

    // Usage may not grow that fast.
    {anthropic, 429, 429, "ramp_limit_exceeded", "", "", R | Q | S, halve},

    {anthropic, 404, 404, "", "not_found_error", "", C | S, firm},

    // Too long for this model; another lane's window may be larger.
    {anthropic, 400, 400, "", "", "prompt is too long", S | D, firm},
    {anthropic, 400, 400, "", "", "exceed context limit", S | D, firm},
    {anthropic, 413, 413, "", "", "", S | D, firm},

    // All of Anthropic is busy: nobody's quota.
    {anthropic, 529, 529, "", "", "", R | H | S, counts},
    {anthropic, 429, 429, "", "overloaded_error", "", R | H | S, 0},
    {anthropic, 200, 200, "", "overloaded_error", "", R | H | S, counts},
};

}  // namespace

std::span<const error_rule> anthropic_error_rules() { return table; }

}  // namespace spillway
