// Runs a test bench to its $finish, and writes the coverage that it counted to the file of +coverage=FILE.
#include <cstring>

#include "Vtestbench.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

int main(int argc, char** argv) {
  VerilatedContext context;
  context.commandArgs(argc, argv);
  Vtestbench bench{&context};
  while (!context.gotFinish()) {
    bench.eval();
    if (!bench.eventsPending()) break;
    context.time(bench.nextTimeSlot());
  }
  bench.final();
#if VM_COVERAGE
  const char* found = context.commandArgsPlusMatch("coverage=");
  if (*found != 0) context.coveragep()->write(found + std::strlen("+coverage="));
#endif
  return 0;
}
