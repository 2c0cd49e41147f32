// Ending: what the end of a process says, by its status and by the last that it wrote.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "harness/oracle/law.h"

namespace rig::cli {

// how_it_ended is "was ended by signal 6 (Aborted)" or "exited with 7", from the status of waitpid.
std::string how_it_ended(int status);

// telling_line is the line that says most: what a sanitizer, a failed check or an uncaught exception says first; else
// the last line that is not empty; empty if there is none.
std::string telling_line(const std::string& output);

// law_of_report is the law that a sanitizer has asked in this line: M1 by AddressSanitizer, LeakSanitizer,
// MemorySanitizer and UndefinedBehaviorSanitizer, T1 by ThreadSanitizer where it reports a data race and M1 where it
// reports something else about memory. Nothing if no sanitizer wrote the line: a process that just dies breaks no law,
// it is a crash.
std::optional<Law> law_of_report(std::string_view line) noexcept;

}  // namespace rig::cli
