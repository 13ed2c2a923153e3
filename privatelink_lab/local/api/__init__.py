"""What all services of the local AWS share: requests, responses, filters, time, faults and limits."""
