// What targets that run scenarios in the lab have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"

namespace rig {

// enter_lab_or_end makes the process fit for the lab, as the command does, or ends it with the reason. To be called
// first of all.
void enter_lab_or_end();

// scenario_of reads an input: the text of a scenario, or nothing at all, which is the opening one. Null: it is no
// scenario. What it answers is fitted().
std::optional<Scenario> scenario_of(const std::uint8_t* data, std::size_t size);

// text_of writes `scenario` over an input of at most `room` bytes and answers how long it is; 0 if it does not fit.
std::size_t text_of(const Scenario& scenario, std::uint8_t* data, std::size_t room);

// run_and_judge runs a fitted scenario once, under all laws, and calls found() with its text and its verdict if a law
// is broken, if it hangs although nothing may keep it, or if anything at all goes wrong in a calm one. What
// TLSRIG_PLANT names (planted.h) takes the subject's place.
Verdict run_and_judge(const Scenario& scenario);

}  // namespace rig
