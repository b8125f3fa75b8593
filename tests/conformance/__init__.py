"""What every dialect has to pass: the same stories, over HTTP, with the sandbox wallet on the other side."""
