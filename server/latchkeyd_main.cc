#include "server/run_broker.h"

int main(int argc, char** argv) { return latchkey::RunBroker(argc, argv); }
