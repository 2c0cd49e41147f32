// Words to write suites in: short makers for the parts of a Scenario.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "harness/scenario/scenario.h"
#include "stress/suite.h"

namespace rig::recipe {

// blank is a scenario of `suite` with nothing in it yet.
Scenario blank(std::string_view suite, const Cell& cell, Size size, std::uint64_t seed);

// by_size picks the amount for a size.
std::uint64_t by_size(Size size, std::uint64_t tiny, std::uint64_t quick, std::uint64_t full);

// size_max is the largest op of a load: 64 KiB + 1, but for the tiny size.
std::uint64_t size_max(Size size);

// op_bytes is one record full of plaintext, but for the tiny size: enough of such ops fill what tight() leaves.
std::uint64_t op_bytes(Size size);

// larger_than_a_lane is an op of which a layer that encrypts ahead has done a part, and not all, when it stops: two of
// them are more than the 256 KiB that are usual.
constexpr std::uint64_t larger_than_a_lane = 150'001;

// pick is one of `choices` numbers: neighbouring seeds of a cell have neighbouring ones, and each cell begins
// elsewhere, so that a matrix with few seeds for each cell goes through all of them.
std::uint64_t pick(const Cell& cell, std::uint64_t seed, std::uint64_t choices);

// Steps.
Step connect();
Step await(Condition condition, std::uint64_t count = 0);
Step send(std::uint64_t ops, std::uint64_t size_min, std::uint64_t size_max);
Step send_more(std::uint64_t ops, std::uint64_t size);
Step align(std::uint64_t label);
Step act(Verb verb);

// on_loop and beside make a thread for one connection, or for each.
Thread on_loop(Side side, std::optional<std::uint32_t> connection, std::vector<Step> steps);
Thread beside(Side side, std::optional<std::uint32_t> connection, std::vector<Step> steps, std::uint32_t copies = 1);

// when is a reaction, at each occurrence or at the nth.
Reaction when(Side side, std::optional<std::uint32_t> connection, Event event, Verb verb, std::uint32_t nth = 0);

// expect is an expectation; no code is success.
Expectation expect(Side side, std::optional<std::uint32_t> connection, Event event,
                   std::vector<std::optional<Code>> outcomes);

// demand_async makes a run with fast track off vacuous unless every op was pending.
void demand_async(Scenario& scenario);

// echo_load is a client that sends hundreds of small messages, all of which the server answers by `echo`.
void echo_load(Scenario& scenario, Verb echo);

// tight gives the connections small kernel buffers, so that little data is enough to block a sender.
void tight(Scenario& scenario);

// nobody_answers is so many clients, none of which comes to be connected: each connects, sends, and is told `code`,
// once.
void nobody_answers(Scenario& scenario, std::uint32_t connections, Code code);

// is_tls is false for plain TCP. both says that client and server have all of `bits`.
bool is_tls(const Cell& cell);
bool both(const Abilities& abilities, std::uint32_t bits);

// fits is an unfit() that fits every cell; the others say why not.
std::optional<std::string> fits(const Cell& cell, const Abilities& abilities);
// first_of answers the first reason that there is.
std::optional<std::string> first_of(std::initializer_list<std::optional<std::string>> reasons);
std::optional<std::string> needs_tls(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_lab(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_half_close(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_close_over_input(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_threads(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_pause(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_key_updates(const Cell& cell, const Abilities& abilities);
std::optional<std::string> needs_renegotiation(const Cell& cell, const Abilities& abilities);
// needs_renegotiation_in_flight: from either side, with data under way.
std::optional<std::string> needs_renegotiation_in_flight(const Cell& cell, const Abilities& abilities);

}  // namespace rig::recipe
