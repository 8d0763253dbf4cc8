// The program that the host starts: these tools on that line.
"use strict";

require("./line").serve(require("./tools"));
