-- Credits that were granted and cannot be spent yet. A value of an enum can be
-- used only after the transaction that added it, hence a file of its own.
ALTER TYPE credit_bucket ADD VALUE 'pending' BEFORE 'available';
