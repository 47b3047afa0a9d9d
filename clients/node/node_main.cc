#include "clients/node/run_join.h"

int main(int argc, char** argv) { return latchkey::RunJoin(argc, argv); }
