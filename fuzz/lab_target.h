// What targets that run scenarios in the lab have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "harness/lab/fault.h"
#include "harness/oracle/violation.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"
#include "harness/subjects/subject.h"

namespace rig {

// enter_lab_or_end makes the process fit for the lab, as the command does, or ends it with the reason. To be called
// first of all.
void enter_lab_or_end();

// on_one_thread runs `body` in the lab as the only thread of a run, whose randomness and clock are the same each time.
// `faults` strike in it.
void on_one_thread(const std::function<void()>& body, std::vector<lab::Fault> faults = {});

// found_if_broken calls found() with the first violation in `log`, if there is one.
void found_if_broken(const ViolationLog& log);

// is_blank says that there is no word in an input, as in the one that libFuzzer begins with. It is run by nobody: what
// fails is to be left behind as a text.
bool is_blank(const std::uint8_t* data, std::size_t size);

// scenario_of reads an input: the text of a scenario. Null: it is none. What it answers is fitted() to `library`.
std::optional<Scenario> scenario_of(const std::uint8_t* data, std::size_t size, std::string_view library);

// text_of writes `scenario` over an input of at most `room` bytes and answers how long it is; 0 if it does not fit.
std::size_t text_of(const Scenario& scenario, std::uint8_t* data, std::size_t room);

// mutate_text mutates the scenario of an input, or the opening one where it is none, and writes what `prepare` makes of
// that over it. Answers its length; what does not fit is left as it was.
std::size_t mutate_text(std::uint8_t* data, std::size_t size, std::size_t room, unsigned int seed,
                        std::string_view library, const std::function<Scenario(Scenario)>& prepare);

// run_and_judge runs a fitted scenario once, under all laws, and calls found() with its text and its verdict if a law
// is broken, if it hangs although nothing may keep it, or if anything at all goes wrong in a calm one. `subject` takes
// the place of the scenario's, unless it is null.
Verdict run_and_judge(const Scenario& scenario, const rig_subject* subject);

}  // namespace rig
