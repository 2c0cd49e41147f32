// The lines of a scenario's text that speak of the lab. Internal to text.h's implementation.
#pragma once

#include <string>

#include "harness/scenario/lab_part.h"
#include "harness/scenario/text_words.h"

namespace rig {

// print_lab is those lines, or nothing if all is as by default.
std::string print_lab(const LabPart& part);

// Each reads the rest of a line, behind its head.
Read<void> read_lab(TextLine& line, LabPart& part);
Read<void> read_fault(TextLine& line, LabPart& part);
Read<void> read_switches(TextLine& line, LabPart& part);
Read<void> read_recorded(TextLine& line, LabPart& part);

}  // namespace rig
