"""The recorder's side of SQL: what it joins, what it forgets, and that it does so as a whole or not at all."""
