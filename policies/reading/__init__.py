"""From the shape of a file to compiled rules, with the checks that it takes."""
