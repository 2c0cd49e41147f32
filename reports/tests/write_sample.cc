// Writes the sample report: report_sample FOLDER [SUITES].
#include <cstdlib>
#include <iostream>

#include "reports/tests/sample.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "report_sample FOLDER [SUITES]\n";
    return 2;
  }
  const auto written =
      rig::write_report(rig::sample_report(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 5), argv[1]);
  if (!written.has_value()) {
    std::cerr << written.error().detail() << "\n";
    return 3;
  }
  return 0;
}
